-- common.sql - what every figure and table reads: the finished trials of the newest plan of the
-- experiment @experiment, as temporary tables over the documented views.

-- A row per trial. setting: its swept values without the seed, the x key's first ("none/none");
-- series: the same without the mask ratio, for figures that have it on an axis; position: the
-- setting's place in the plan's order.
CREATE TEMP TABLE chosen AS
WITH swept AS (
  SELECT settings.trial, settings.key, settings.value
  FROM settings JOIN experiments USING (experiment)
  WHERE experiment = @experiment AND swept = 1 AND key <> 'run.seed'
  ORDER BY settings.trial, key <> x, key),
named AS (
  SELECT trial, group_concat(value, '/') AS setting,
    group_concat(CASE WHEN key <> 'train.mask_ratio' THEN value END, '/') AS series,
    group_concat(key, ' / ') AS keys
  FROM swept GROUP BY trial)
SELECT trials.*, coalesce(setting, 'all') AS setting, coalesce(series, 'model') AS series,
  coalesce(keys, '') AS keys,
  min(trials.trial) OVER (PARTITION BY coalesce(setting, 'all')) AS position,
  (SELECT CAST(value AS INTEGER) FROM settings
   WHERE settings.trial = trials.trial AND key = 'train.batch') AS batch,
  (SELECT CAST(value AS INTEGER) FROM settings
   WHERE settings.trial = trials.trial AND key = 'model.image_size') AS image_size
FROM trials LEFT JOIN named USING (trial)
WHERE experiment = @experiment AND status = 'done' AND planned = 1;

-- A row per setting and metric: means over seeds. bar_low, bar_high: the 95% interval of the mean
-- when there are more than five seeds; up to five are drawn one by one and the bar has no length.
CREATE TEMP TABLE means AS
SELECT point, dataset, keys, setting, series, position, chosen.mask_ratio, gflops_decoder_per_image,
  gflops_per_image, metric, n, mean, sd, iif(n > 5, low, mean) AS bar_low,
  iif(n > 5, high, mean) AS bar_high
FROM points JOIN (SELECT DISTINCT point, dataset, keys, setting, series, position, mask_ratio,
    gflops_decoder_per_image, gflops_per_image FROM chosen) AS chosen USING (point, dataset)
WHERE points.experiment = @experiment;

-- What is drawn of them: rows of kind seed and mean.
CREATE TEMP TABLE marks AS
SELECT 'seed' AS kind, means.setting, means.series, means.position, means.mask_ratio,
  means.gflops_decoder_per_image, metric, means.keys, scores.value, NULL AS bar_low, NULL AS bar_high
FROM chosen JOIN means USING (point, dataset) JOIN scores USING (trial, metric) WHERE n <= 5
UNION ALL
SELECT 'mean', setting, series, position, mask_ratio, gflops_decoder_per_image, metric, keys, mean,
  bar_low, bar_high FROM means;

-- The metrics that figures and tables show: the headline ones of hidden patches. leading: the first
-- of its quantity (psnr, ssim); the others are further readings of it.
CREATE TEMP TABLE shown AS
SELECT name, position, leading, name || iif(unit = '', '', ' (' || unit || ')') AS label
FROM metrics WHERE headline AND needs = 'hidden';

-- The baselines at each mask ratio, on the same images and masks as the trials.
CREATE TEMP TABLE baseline_means AS
SELECT baseline, mask_ratio, metric, avg(value) AS value
FROM baseline_scores WHERE trial IN (SELECT trial FROM chosen) GROUP BY baseline, mask_ratio, metric;
