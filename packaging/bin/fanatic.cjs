#!/usr/bin/env node
'use strict';
require('../node-version.cjs')('fanatic');
import('../../dist/src/cli/fanatic.js');
