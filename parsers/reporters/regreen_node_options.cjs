// Loaded by NODE_OPTIONS=--require into every node process of a command that hides node behind
// something else (`npm test`, `make`). A process that is `node --test` is started again in its
// own place with regreen's reporter beside the ones that it names: node knows no other way to
// add a reporter, and refuses reporters whose number is not that of the destinations.
'use strict';

(function () {
  if (!process.env.REGREEN_EVENTS || process.env.NODE_TEST_CONTEXT) return;
  var given = process.execArgv;
  var reporter = require('path').join(__dirname, 'regreen_node.cjs');
  if (given.indexOf('--test') < 0 || given.some(function (word) { return word.indexOf(reporter) >= 0; })) return;
  var version = process.versions.node.split('.').map(Number);
  if (version[0] < 18 || version[0] === 18 && version[1] < 19) return;
  var count = function (name) {
    return given.filter(function (word) { return word === name || word.indexOf(name + '=') === 0; }).length;
  };
  // Reporters and destinations are paired in their order.
  var args = ['--test-reporter=' + reporter, '--test-reporter-destination=stderr'];
  if (count('--test-reporter') === 0) args.push('--test-reporter=spec');
  if (count('--test-reporter-destination') === 0) args.push('--test-reporter-destination=stdout');
  args = args.concat(given, process.argv.slice(1));
  var child = require('child_process').spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (child.signal) process.kill(process.pid, child.signal);
  process.exit(child.status === null ? 1 : child.status);
})();
