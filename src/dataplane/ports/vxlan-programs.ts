/**
 * What stands in the kernel for a fan over VXLAN with `--io bpf`: encap at its TAP, decap at its VXLAN device, which is up
 * as long as they are there. At the underlay's device, so that most packets need not go by the VXLAN device: decap once
 * more, with the exit from the bridge that super-packets from there need as those of IP-in-IP do, and a witness of what
 * the host lets out. Where it can't have these, all goes by the VXLAN device.
 */

import { errorText } from '../../base/error.js';
import { VxlanDevice } from '../../io/devices/vxlan-device.js';
import { deviceIndex } from '../../io/netlink/device-index.js';
import { BridgeExit, type ExitDevices } from '../../io/programs/bridge-exit.js';
import { FanProgram } from '../../io/programs/fan-program.js';
import type { FanSpec } from '../tables/fan-spec.js';
import type { DirectPrograms, KernelPrograms } from './fan-programs.js';

type Wanted = Pick<FanSpec, 'tun' | 'bridge' | 'kernelVxlan' | 'underlayDevice'>;

/** What all at the underlay's device need of each other. */
interface PastDevice {
  readonly direct: DirectPrograms;
  readonly exit: BridgeExit;
}

export class VxlanPrograms implements KernelPrograms {
  readonly encap: FanProgram;
  readonly decap: NonNullable<KernelPrograms['decap']>;
  readonly direct: DirectPrograms | undefined;
  readonly encapTo: number;
  readonly decapTo: number;
  readonly underlayIndex: number;
  readonly notes: readonly string[];
  readonly #device: VxlanDevice;
  /** Another process has programs at the device as well. */
  #isShared: boolean;

  private constructor(
    device: VxlanDevice,
    encap: FanProgram,
    decap: FanProgram,
    at: ExitDevices,
    isShared: boolean,
  ) {
    this.#device = device;
    this.#isShared = isShared;
    this.encap = encap;
    this.encapTo = device.index;
    this.decapTo = at.tun;
    this.underlayIndex = at.underlay;
    try {
      const { direct, exit } = attachDirect(at, encap, decap);
      this.decap = { program: decap, exit, devices: at };
      this.direct = direct;
      this.notes = [];
    } catch (error) {
      this.decap = { program: decap };
      this.notes = [`bpf: by the VXLAN device: ${errorText(error)}`];
    }
  }

  /**
   * They take nothing until they are configured. `isShared`: the device is another process's still, until
   * replaceOthers(). Throws as FanProgram.encap and VxlanDevice.open.
   */
  static attach({ tun, bridge, kernelVxlan, underlayDevice }: Wanted, isShared: boolean): VxlanPrograms {
    if (!kernelVxlan) throw new Error('the fan was brought up without a VXLAN device');
    const undo: (() => void)[] = [];
    try {
      const at = {
        tun: deviceIndex(tun),
        bridge: deviceIndex(bridge),
        underlay: deviceIndex(underlayDevice),
      };
      const device = VxlanDevice.open(kernelVxlan.device);
      if (!isShared) undo.push(() => device.close());
      const encap = FanProgram.vxlanEncap(at.tun);
      undo.push(() => encap.detach());
      const decap = FanProgram.vxlanDecap(device.index);
      return new VxlanPrograms(device, encap, decap, at, isShared);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** Those end with their process: what comes in meanwhile is taken by either. */
  replaceOthers(): void {
    this.#isShared = false;
  }

  detach(): void {
    this.direct?.witness.detach();
    this.direct?.decap.detach();
    // First of the other two: nothing may come in by it that no program looks at.
    if (!this.#isShared) this.#device.close();
    this.decap.program.detach();
    this.decap.exit?.detach();
    this.encap.detach();
  }
}

function attachDirect(devices: ExitDevices, encap: FanProgram, decap: FanProgram): PastDevice {
  const exit = BridgeExit.attach(devices);
  const undo = [() => exit.detach()];
  try {
    const witness = FanProgram.vxlanWitness(devices.underlay, encap);
    undo.push(() => witness.detach());
    return { exit, direct: { witness, decap: FanProgram.vxlanDirectDecap(devices.underlay, decap) } };
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}
