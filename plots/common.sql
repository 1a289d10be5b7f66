-- common.sql - what every figure and table reads: the trials of the newest plan of the experiment
-- @experiment, as temporary tables over the documented views and t_quantile.
--
-- A number is computed from one trial first (its score, its gain over the baselines on its own masks)
-- and averaged over the seeds of one setting on one data set afterwards, never the other way round.

-- A row per planned trial. setting: its swept values without the seed, the x key's first
-- ("none/none"), and the data set's first digits where the experiment's trials have several; series:
-- the same without the mask ratio, for figures that have it on an axis; position: the setting's place
-- in the plan's order.
CREATE TEMP TABLE everyone AS
WITH mine AS (SELECT * FROM trials WHERE experiment = @experiment AND planned = 1),
swept AS (
  SELECT settings.trial, settings.key,
    -- A row is a line of a TSV.
    replace(replace(settings.value, char(9), ' '), char(10), ' ') AS value, key <> x AS place
  FROM settings JOIN experiments USING (experiment)
  WHERE experiment = @experiment AND swept = 1 AND key <> 'run.seed'
  UNION ALL
  SELECT trial, 'data', coalesce(substr(dataset, 1, 8), 'unknown'), 2 FROM mine
  WHERE (SELECT count(DISTINCT dataset) FROM mine) > 1
  ORDER BY trial, place, key),
named AS (
  SELECT trial, group_concat(value, '/') AS setting,
    group_concat(CASE WHEN key <> 'train.mask_ratio' THEN value END, '/') AS series,
    group_concat(replace(substr(key, instr(key, '.') + 1), '_', ' '), ' / ') AS keys
  FROM swept GROUP BY trial)
SELECT mine.*, coalesce(setting, 'all') AS setting, coalesce(series, 'model') AS series,
  coalesce(keys, '') AS keys,
  min(mine.trial) OVER (PARTITION BY coalesce(setting, 'all')) AS position,
  (SELECT CAST(value AS INTEGER) FROM settings
   WHERE settings.trial = mine.trial AND key = 'train.batch') AS batch,
  (SELECT CAST(value AS INTEGER) FROM settings
   WHERE settings.trial = mine.trial AND key = 'model.image_size') AS image_size
FROM mine LEFT JOIN named USING (trial);

-- Those that are done.
CREATE TEMP TABLE chosen AS SELECT * FROM everyone WHERE status = 'done';

-- Why a planned trial has no mark in @figure: a row per such trial. Speed and pictures need no score.
CREATE TEMP TABLE missing AS
SELECT trial, setting, position, CASE
    WHEN status <> 'done' THEN status
    WHEN psnr_leaky IS NOT NULL THEN 'leaky (norm_pix)'
    WHEN nonfinite IS NOT NULL THEN 'not a number'
    ELSE 'not scored' END AS reason
FROM everyone
WHERE status <> 'done' OR psnr_masked IS NULL AND @figure NOT IN ('throughput', 'sheet');

-- In words, a row per reason: "3 failed: none, learned".
CREATE TEMP TABLE missing_text AS
SELECT trials || ' ' || reason || ': ' || names AS text FROM (
  SELECT reason, sum(trials) AS trials,
    group_concat(CASE WHEN nth <= 4 THEN setting END, ', ')
      || iif(count(*) > 4, ' and ' || (count(*) - 4) || ' more settings', '') AS names
  FROM (SELECT reason, setting, count(*) AS trials,
      row_number() OVER (PARTITION BY reason ORDER BY position) AS nth
    FROM missing GROUP BY reason, position ORDER BY reason, position)
  GROUP BY reason ORDER BY reason);

-- A row per trial, baseline and metric: the baseline's value on the trial's own images and masks, and
-- how far the trial lies above it.
CREATE TEMP TABLE gains AS
SELECT chosen.trial, setting, series, position, chosen.mask_ratio, baseline, metric,
  baseline_scores.value, scores.value - baseline_scores.value AS gain
FROM chosen JOIN baseline_scores USING (trial) LEFT JOIN scores USING (trial, metric);

-- The same per setting: means over seeds.
CREATE TEMP TABLE baseline_means AS
SELECT baseline, setting, series, position, mask_ratio, metric, avg(value) AS value, avg(gain) AS gain
FROM gains GROUP BY baseline, position, metric;

-- A row per setting and metric: means over seeds. bar_low, bar_high: the 95% interval of the mean
-- when there are more than five seeds; up to five are drawn one by one and the bar has no length.
CREATE TEMP TABLE means AS
WITH centred AS (
  SELECT chosen.*, metric, value, avg(value) OVER (PARTITION BY position, metric) AS mean
  FROM chosen JOIN scores USING (trial) WHERE value IS NOT NULL),
spread AS (
  SELECT *, count(*) AS n,
    CASE WHEN count(*) > 1
      THEN sqrt(sum((value - mean) * (value - mean)) / (count(*) - 1)) END AS sd
  FROM centred GROUP BY position, metric)
SELECT keys, setting, series, position, mask_ratio, data_source, dataset, gflops_decoder_per_image,
  gflops_per_image, metric, n, mean, sd,
  iif(n > 5, mean - t975 * sd / sqrt(n), mean) AS bar_low,
  iif(n > 5, mean + t975 * sd / sqrt(n), mean) AS bar_high
FROM spread LEFT JOIN t_quantile ON df = min(n - 1, 100);

-- What is drawn of them: rows of kind seed and mean.
CREATE TEMP TABLE marks AS
SELECT 'seed' AS kind, means.setting, means.series, means.position, means.mask_ratio,
  means.gflops_decoder_per_image, metric, means.keys, scores.value, NULL AS bar_low, NULL AS bar_high
FROM chosen JOIN means USING (position) JOIN scores USING (trial, metric) WHERE n <= 5
UNION ALL
SELECT 'mean', setting, series, position, mask_ratio, gflops_decoder_per_image, metric, keys, mean,
  bar_low, bar_high FROM means;

-- The metrics that figures and tables show: the headline ones of hidden patches. leading: the first
-- of its quantity (psnr, ssim); the others are further readings of it. label: an axis's words.
CREATE TEMP TABLE shown AS
SELECT name, position, leading, title || iif(unit = '', '', ' (' || unit || ')') AS label
FROM metrics WHERE headline AND needs = 'hidden';
