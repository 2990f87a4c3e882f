/* SO_MARK of super-packets on their way to the GSO shim: "ufan". The shim takes it off again. */
#ifndef UFAN_GSO_SHIM_MARK_H
#define UFAN_GSO_SHIM_MARK_H

#define GSO_SHIM_MARK 0x7566616e

#endif
