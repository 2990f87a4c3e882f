/**
 * What stands in the kernel for a fan over VXLAN with `--io bpf`: encap at its TAP, decap at its VXLAN device, which is up
 * as long as they are there. The device's receive leaves no mark of a tunnel on a super-packet: no bridge would cut it, and
 * what comes in by the TAP passes by no chain and no traffic control.
 */

import { VxlanDevice } from '../../io/devices/vxlan-device.js';
import { deviceIndex } from '../../io/netlink/device-index.js';
import { FanProgram } from '../../io/programs/fan-program.js';
import type { FanSpec } from '../tables/fan-spec.js';
import type { KernelPrograms } from './fan-programs.js';

type Wanted = Pick<FanSpec, 'tun' | 'kernelVxlan' | 'underlayDevice'>;

export class VxlanPrograms implements KernelPrograms {
  readonly encap: FanProgram;
  readonly decap: { readonly program: FanProgram };
  readonly encapTo: number;
  readonly decapTo: number;
  readonly underlayIndex: number;
  readonly notes = [];
  readonly #device: VxlanDevice;
  /** Another process has programs at the device as well. */
  #isShared: boolean;

  private constructor(
    device: VxlanDevice,
    encap: FanProgram,
    decap: FanProgram,
    tap: number,
    underlay: number,
    isShared: boolean,
  ) {
    this.#device = device;
    this.#isShared = isShared;
    this.encap = encap;
    this.decap = { program: decap };
    this.encapTo = device.index;
    this.decapTo = tap;
    this.underlayIndex = underlay;
  }

  /**
   * They take nothing until they are configured. `isShared`: the device is another process's still, until
   * replaceOthers(). Throws as FanProgram.encap and VxlanDevice.open.
   */
  static attach({ tun, kernelVxlan, underlayDevice }: Wanted, isShared: boolean): VxlanPrograms {
    if (!kernelVxlan) throw new Error('the fan was brought up without a VXLAN device');
    const undo: (() => void)[] = [];
    try {
      const [tap, underlay] = [deviceIndex(tun), deviceIndex(underlayDevice)];
      const device = VxlanDevice.open(kernelVxlan.device);
      if (!isShared) undo.push(() => device.close());
      const encap = FanProgram.vxlanEncap(tap);
      undo.push(() => encap.detach());
      const decap = FanProgram.vxlanDecap(device.index);
      return new VxlanPrograms(device, encap, decap, tap, underlay, isShared);
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
    // First: nothing may come in by it that no program looks at.
    if (!this.#isShared) this.#device.close();
    this.decap.program.detach();
    this.encap.detach();
  }
}
