-- What the experiment's x does to features, to reconstruction and to speed: rows of kind tick (a
-- place on the x axis; value: 1 when the axis is of numbers), mean with its interval and seed of each
-- panel, baseline of the probe's, and paper, the published numbers. x is the value of the key x where
-- each setting has a number of its own, else the place of the setting in the plan's order.
WITH valued AS (
  SELECT everyone.trial, position, setting, keys, settings.key, settings.value AS text
  FROM everyone JOIN settings USING (trial) JOIN experiments
    ON experiments.experiment = @experiment AND settings.key = experiments.x),
kinds AS (
  SELECT count(DISTINCT text) = count(DISTINCT position) AS own,
    count(DISTINCT text) = count(DISTINCT position)
      AND min(text NOT GLOB '*[^0-9.e+-]*' AND text GLOB '*[0-9]*') AS numeric
  FROM valued),
places AS (
  SELECT trial, position, iif(own, text, setting) AS label, iif(own, replace(substr(key, instr(key, '.') + 1), '_', ' '), keys) AS axis, numeric,
    iif(numeric, CAST(text AS REAL), dense_rank() OVER (ORDER BY position)) AS x
  FROM valued, kinds),
ours AS (
  SELECT 'probe' AS panel, metric AS series, trial, value FROM scores
  WHERE metric IN ('linear_mean', 'knn_mean')
  UNION ALL
  SELECT 'gain', 'psnr_masked', trial, gain FROM gains
  WHERE baseline = 'fill_harmonic' AND metric = 'psnr_masked'
  UNION ALL SELECT 'speed', 'images_per_second', trial, images_per_second FROM chosen),
centred AS (
  SELECT panel, series, x, value, avg(value) OVER (PARTITION BY panel, series, x) AS mean
  FROM ours JOIN places USING (trial) WHERE trial IN (SELECT trial FROM chosen) AND value IS NOT NULL),
spread AS (
  SELECT panel, series, x, mean, count(*) AS n,
    iif(count(*) > iif(panel = 'speed', 5, 2), sqrt(sum((value - mean) * (value - mean)) / (count(*) - 1) / count(*)), 0) AS error
  FROM centred GROUP BY panel, series, x),
probed AS ( -- of the two the one whose baselines are drawn
  SELECT max(series) AS metric FROM spread WHERE panel = 'probe'),
paper_series AS (
  SELECT max(series) AS series FROM paper WHERE experiment = @experiment)
SELECT * FROM (
  SELECT 'tick' AS kind, NULL AS panel, axis AS series, x, numeric AS value, NULL AS low, NULL AS high,
    label FROM places GROUP BY x
  UNION ALL
  SELECT 'mean', panel, (SELECT title FROM metrics WHERE name = series), x, mean,
    mean - coalesce(t975, 0) * error,
    mean + coalesce(t975, 0) * error, NULL
  FROM spread LEFT JOIN t_quantile ON df = min(n - 1, 100)
  UNION ALL
  SELECT 'seed', panel, (SELECT title FROM metrics WHERE name = series), x, value, NULL, NULL, NULL
  FROM centred
  UNION ALL
  SELECT 'baseline', 'probe', (SELECT title FROM scorers WHERE name = baseline_scores.baseline)
      || iif(metric GLOB 'linear_*', ' (linear probe)', ' (neighbours)'), x, avg(value), NULL, NULL, NULL
  FROM baseline_scores JOIN places USING (trial) JOIN probed USING (metric)
  WHERE trial IN (SELECT trial FROM chosen) AND value IS NOT NULL GROUP BY baseline, x
  UNION ALL
  SELECT 'paper', 'probe', 'published: ' || series || ' (right axis)', coalesce(
      iif((SELECT numeric FROM kinds) AND ours GLOB (SELECT key FROM valued) || '=*',
        CAST(substr(ours, instr(ours, '=') + 1) AS REAL), NULL),
      (SELECT min(x) FROM paper_trials JOIN places USING (trial)
       WHERE paper_trials.experiment = @experiment AND paper_trials.position = paper.position)) AS x,
    accuracy, NULL, NULL, NULL
  FROM paper JOIN paper_series USING (series)
  WHERE experiment = @experiment AND x IS NOT NULL AND (SELECT metric FROM probed) IS NOT NULL)
ORDER BY kind, panel = 'speed', panel = 'gain',
  CASE WHEN kind = 'baseline' THEN series END DESC, series, x, value;
