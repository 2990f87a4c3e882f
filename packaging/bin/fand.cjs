#!/usr/bin/env node
'use strict';
require('../node-version.cjs')('fand');
import('../../dist/src/daemon/fand.js');
