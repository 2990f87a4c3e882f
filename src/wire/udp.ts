/** The header of UDP (RFC 768): offsets of its fields. */
export const UDP_HEADER_LEN = 8;
export const UDP_SOURCE_PORT = 0;
export const UDP_TARGET_PORT = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;
