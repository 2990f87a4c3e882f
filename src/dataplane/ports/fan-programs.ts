/**
 * What stands in the kernel for a fan with `--io bpf`: encap at its TUN, decap at its underlay device, and the exit by
 * which decapsulated super-packets leave its bridge whole. Decap is not attached without the exit: the bridge would cut
 * each super-packet, which costs more than decap in the daemon.
 */
import { errorText } from '../../base/error.js';
import { deviceIndex } from '../../io/netlink/device-index.js';
import { BridgeExit, type ExitDevices } from '../../io/programs/bridge-exit.js';
import { FanProgram } from '../../io/programs/fan-program.js';
import { Pins } from '../../io/programs/pins.js';
import type { FanSpec } from '../tables/fan-spec.js';

type Wanted = Pick<FanSpec, 'tun' | 'bridge' | 'decapRefused' | 'pins'>;

interface DecapPrograms {
  readonly program: FanProgram;
  readonly exit: BridgeExit;
  readonly devices: ExitDevices;
}

/** At the underlay's device, of a fan over VXLAN: by them packets go past the VXLAN device. */
export interface DirectPrograms {
  /** Sees which peers encap may send to so. */
  readonly witness: FanProgram;
  readonly decap: FanProgram;
}

/** Of a fan of either type. */
export interface KernelPrograms {
  readonly encap: FanProgram;
  /** Decap, what it can't do without, and where they are attached; undefined where the daemon does it. */
  readonly decap: (Pick<DecapPrograms, 'program'> & Partial<DecapPrograms>) | undefined;
  readonly direct?: DirectPrograms | undefined;
  /** Index of the device that packets go on by. */
  readonly encapTo: number;
  readonly decapTo: number;
  readonly underlayIndex: number;
  /** Why decap is the daemon's. */
  readonly notes: readonly string[];
  /** They do all that is to be done: those of another process are not needed any more. */
  replaceOthers(): void;
  /** `goOn`: what outlives this process goes on without it. */
  detach(goOn: boolean): void;
}

export class FanPrograms implements KernelPrograms {
  readonly encap: FanProgram;
  readonly decap: DecapPrograms | undefined;
  readonly encapTo: number;
  readonly decapTo: number;
  readonly underlayIndex: number;
  readonly notes: readonly string[];
  #pins: Pins | undefined;

  private constructor(wanted: Wanted, encap: FanProgram, tunIndex: number, underlayIndex: number) {
    this.encap = encap;
    this.encapTo = underlayIndex;
    this.decapTo = tunIndex;
    this.underlayIndex = underlayIndex;
    let refused = wanted.decapRefused;
    if (refused === undefined) {
      try {
        this.decap = attachDecap({
          bridge: deviceIndex(wanted.bridge),
          tun: tunIndex,
          underlay: underlayIndex,
        });
      } catch (error) {
        refused = errorText(error);
      }
    }
    this.notes = refused === undefined ? [] : [`bpf: decap in fand: ${refused}`];
    if (wanted.pins !== undefined) this.#pin(wanted.pins);
  }

  /** They take nothing until they are configured. Throws as FanProgram.encap. */
  static attach(wanted: Wanted, underlayIndex: number): FanPrograms {
    const tunIndex = deviceIndex(wanted.tun);
    return new FanPrograms(wanted, FanProgram.encap(tunIndex), tunIndex, underlayIndex);
  }

  replaceOthers(): void {
    this.#pins?.removeOthers();
  }

  /** They outlive fand if they can: without, the fan works as well. */
  #pin(dir: string): void {
    try {
      const pins = new Pins(dir);
      this.#pins = pins;
      pins.add('encap', this.encap.linkFd);
      if (!this.decap) return;
      pins.add('bridge_exit', this.decap.exit.linkFd);
      pins.add('decap', this.decap.program.linkFd);
    } catch {
      this.#pins?.removeOwn();
      this.#pins = undefined;
    }
  }

  /** `goOn`: what is named goes on without this process. */
  detach(goOn: boolean): void {
    if (!goOn) this.#pins?.removeOwn();
    this.decap?.program.detach();
    this.decap?.exit.detach();
    this.encap.detach();
  }
}

function attachDecap(devices: ExitDevices): DecapPrograms {
  const exit = BridgeExit.attach(devices);
  try {
    return { exit, program: FanProgram.decap(devices.underlay), devices };
  } catch (error) {
    exit.detach();
    throw error;
  }
}
