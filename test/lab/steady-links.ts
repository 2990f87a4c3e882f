/**
 * What `ip -d link` says, as text or JSON, without what changes by itself: timers, and the operational state, which the
 * kernel's link watch sets up to a second after the fact.
 */
const UNSTEADY = [
  /_timer +[0-9.]+/g,
  /"\w+_timer":[0-9.]+/g,
  / state [A-Z]+/g,
  /"operstate":"[A-Z]+"/g,
  /"?NO-CARRIER"?,/g,
];

export function steadyLinks(said: string): string {
  return UNSTEADY.reduce((text, pattern) => text.replace(pattern, ''), said);
}
