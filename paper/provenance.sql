-- What the finished trials came from.
SELECT experiment, count(*) AS trials, group_concat(DISTINCT data_source) AS data,
  group_concat(DISTINCT substr(dataset, 1, 12)) AS "data SHA-256",
  group_concat(DISTINCT processor) AS processor,
  (SELECT group_concat(DISTINCT substr(git_commit, 1, 12)) FROM attempts
   WHERE attempts.experiment = trials.experiment) AS "commit",
  (SELECT group_concat(DISTINCT substr(binary_sha256, 1, 12)) FROM attempts
   WHERE attempts.experiment = trials.experiment) AS "program SHA-256",
  printf('%.0f', sum(wall_seconds) / 60) AS minutes
FROM trials WHERE status = 'done' AND planned = 1 GROUP BY experiment ORDER BY experiment;
