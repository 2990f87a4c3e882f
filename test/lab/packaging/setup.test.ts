/**
 * scripts/setup, in a copy of this machine: whose commands are on PATH, what packages may start, and the lines that say
 * why it doesn't go on. Real npm, apt and dpkg.
 */
import { describe, expect, it } from 'vitest';
import { inCopy } from './copy-of-machine.js';

const WHOSE = 'echo "fanctl is $(readlink -f /opt/npm/bin/fanctl)"';

describe('the commands on PATH', () => {
  it('are those of the first clone until another one is told --force', async () => {
    const { code, stdout, stderr } = await inCopy(`
      /first/scripts/setup
      ${WHOSE}
      /second/scripts/setup
      ${WHOSE}
      /second/scripts/setup --no-link
      ${WHOSE}
      /second/scripts/setup --force
      ${WHOSE}`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const whose = [...stdout.matchAll(/fanctl is \/(\w+)\//g)].map(([, clone]) => clone);
    expect(whose).toEqual(['first', 'first', 'first', 'second']);
    expect(stderr).toMatch(
      /^setup: all is built; fanctl on this machine stays \/first\/\S+: scripts\/setup --force puts .*\n$/,
    );
  });

  it('are asked for by a shell whose own fanctl is first on PATH, and by a lab, and stay as they are', async () => {
    const { code, stdout, stderr } = await inCopy(`
      rm -rf /tmp/ufan-*
      mkdir /shim; printf '#!/bin/sh\\n' >/shim/fanctl; chmod +x /shim/fanctl
      PATH=/shim:$PATH npm --prefix /first run --silent lab -- down
      [ ! -e /opt/npm/bin/fanctl ] && echo "no link"`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/no lab is up|removed /);
    expect(stdout).toContain('no link');
  });
});

describe('what is installed', () => {
  it('neither starts nor is enabled, what was there before stays so, and a busy apt is waited for', async () => {
    const { code, stdout, stderr } = await inCopy(`
      dpkg --purge tinc vtun >/dev/null 2>&1
      wants=/etc/systemd/system/multi-user.target.wants
      mkdir -p $wants; ln -sf /lib/systemd/system/lxc.service $wants/
      ln -sf ../init.d/lxc /etc/rc3.d/S01lxc
      cp -a /usr/sbin/policy-rc.d /policy 2>/dev/null || { printf '#!/bin/sh\\nexit 0\\n' >/policy; cp -a /policy /usr/sbin/policy-rc.d; }
      /usr/bin/python3 -c '
import fcntl, time
held = [open(path, "w") for path in ("/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend")]
for lock in held: fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(4)' | cat &
      sleep 1
      /first/scripts/setup --no-link
      dpkg-query -W -f '\${Package} \${db:Status-Status}\\n' tinc vtun
      cmp /policy /usr/sbin/policy-rc.d && echo "policy is back"
      find /etc/systemd/system $wants /etc/rc?.d -type l | grep -E 'S01(tinc|vtun)|wants/(tinc|vtun)' || echo "none at boot"
      ls $wants/lxc.service /etc/rc3.d/S01lxc
      deb-systemd-helper was-enabled tinc.service || echo "an upgrade leaves it so"`);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^tinc installed$/m);
    expect(stdout).toMatch(/^vtun installed$/m);
    for (const line of ['policy is back', 'none at boot', 'an upgrade leaves it so', 'S01lxc']) {
      expect(stdout).toContain(line);
    }
  });
});

describe('one line says why set-up ends', () => {
  it.each([
    [
      'packages are missing and the user is not root',
      'dpkg --purge vtun >/dev/null 2>&1',
      /run sudo .*vtun$/,
    ],
    [
      'the prefix of npm is not the user’s',
      'chown -R nobody /first/.setup',
      /only root may write to \/opt\/npm/,
    ],
  ])('where %s', async (_, before, line) => {
    const { code, stderr } = await inCopy(`
      chown nobody /first/.setup /first/.setup/lock /first/.setup/setup.log
      ${before}
      HOME=/tmp setpriv --reuid nobody --regid nogroup --clear-groups /first/scripts/setup`);
    expect(code).toBe(1);
    expect(stderr.trim()).toMatch(line);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it.each([
    ['v16.20.2', '', 20],
    ['v18.20.4', '', 20],
    ['v16.20.2', '--runtime', 18],
  ])('where Node is %s %s', async (version, mode, wanted) => {
    const { code, stderr } = await inCopy(`
      mkdir /old
      printf '#!/bin/sh\\ncase "$*" in --version) echo ${version};; *) exec /usr/bin/env -u PATH ${process.execPath} -r /old/v.cjs "$@";; esac' >/old/node
      echo "Object.defineProperty(process.versions, 'node', { value: '${version.slice(1)}' });" >/old/v.cjs
      chmod +x /old/node
      PATH=/old:$PATH /first/scripts/setup ${mode}`);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^setup: Node ${wanted}\\.19 or newer is needed.*this is ${version}: https://nodejs.org.*\\n$`,
      ),
    );
  });
});
