/**
 * requireNode(program): ends a program of ufan on a Node that is too old for it, with one line. In the JavaScript of
 * Node's first versions, and loaded before anything else.
 */
'use strict';

var LEAST = [18, 19];

module.exports = function requireNode(program) {
  var version = process.versions.node.split('.');
  var major = Number(version[0]);
  if (major > LEAST[0] || (major === LEAST[0] && Number(version[1]) >= LEAST[1])) return;
  process.stderr.write(
    program +
      ': Node ' +
      LEAST.join('.') +
      ' or newer is needed, this is ' +
      process.version +
      ': https://nodejs.org/en/download has a newer one, https://deb.nodesource.com packages for Debian and Ubuntu\n',
  );
  process.exit(1);
};
