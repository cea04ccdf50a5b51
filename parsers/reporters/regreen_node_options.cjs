// Loaded before everything else in every node process of a test command. regreen adds two
// reporters by NODE_OPTIONS; a command that names one itself, without a destination, would
// then be refused by node ("must match the number of specified destinations"). Such a process
// is started again with the destination that node would have used.
'use strict';

(function () {
  if (!process.env.REGREEN_EVENTS) return;
  var count = function (name) {
    return process.execArgv.filter(function (word) { return word === name || word.indexOf(name + '=') === 0; }).length;
  };
  if (count('--test-reporter') !== 1 || count('--test-reporter-destination') !== 0) return;
  var args = ['--test-reporter-destination=stdout'].concat(process.execArgv, process.argv.slice(1));
  var child = require('child_process').spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (child.signal) process.kill(process.pid, child.signal);
  process.exit(child.status === null ? 1 : child.status);
})();
