/**
 * The UDP port of `fanctl probe`: fand's responder listens on it at each underlay address, and the probes that travel
 * inside IP-in-IP carry it too. Unprivileged, outside the ephemeral range, and "UFAN" on a telephone's keys. It stands
 * in base because wire, host (the firewall) and daemon all speak of it.
 */
export const PROBE_PORT = 8326;
