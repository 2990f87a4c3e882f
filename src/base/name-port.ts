/**
 * The UDP port at a fan's gateway by which the fands of a fan ask each other for containers' names (flag `dns`), and
 * dnsmasq asks its own. It stands in base because host (the guard, the firewall) and daemon both speak of it.
 */
export const NAME_PORT = 8327;

/** The domain of containers' names: no name of the Internet's ends in it. */
export const NAME_DOMAIN = 'fan';
