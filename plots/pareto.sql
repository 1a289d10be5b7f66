-- What quality costs: a row per setting and metric, what the encoder learned (the linear probe) and
-- how well it reconstructs, against the work of a training step; against its speed where every setting
-- takes the same work. front: 1 where no other setting is as good for less.
WITH costs AS (
  SELECT position, setting, keys, avg(gflops_per_image) AS gflops, avg(images_per_second) AS speed
  FROM chosen WHERE gflops_per_image > 0 GROUP BY position),
axis AS (SELECT max(gflops) > 1.001 * min(gflops) AS work FROM costs),
points AS (
  SELECT costs.position, costs.setting, costs.keys, metric, mean AS value, bar_low, bar_high,
    iif(work, gflops, speed) AS x, iif(work, gflops, -speed) AS cost, work
  FROM costs JOIN means USING (position), axis
  WHERE metric IN ('linear_mean', 'psnr_masked') AND iif(work, gflops, speed) IS NOT NULL)
SELECT 'mean' AS kind, setting, metric, x, value,
  NOT EXISTS (SELECT 1 FROM points AS other WHERE other.metric = points.metric
    AND other.cost <= points.cost AND other.value >= points.value
    AND (other.cost < points.cost OR other.value > points.value)) AS front,
  points.position, iif(work, 'work of a training step (GFLOP per image)', 'training speed (images/s)') AS axis,
  work, title || iif(unit = '', '', ' (' || unit || ')') AS label, keys, bar_low, bar_high
FROM points JOIN metrics ON metrics.name = metric
UNION ALL
SELECT 'seed', points.setting, metric, x, scores.value, NULL, points.position, NULL, NULL, NULL, NULL, NULL,
  NULL
FROM points JOIN chosen USING (position) JOIN scores USING (trial, metric) WHERE scores.value IS NOT NULL
ORDER BY kind, metric, position, x, value;
