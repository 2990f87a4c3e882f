#!/usr/bin/env node
'use strict';
require('../node-version.cjs')('fanctl');
import('../../dist/src/cli/fanctl.js');
