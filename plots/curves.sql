-- Training loss and held-out PSNR by step. A curve has at most 300 points (raw) or 30 (smooth):
-- each is the mean of equally many steps.
WITH loss AS (
  SELECT setting, position, keys, chosen.seed, step, value, steps,
    max(1, (steps + 299) / 300) AS raw_bin, max(1, (steps + 29) / 30) AS smooth_bin
  FROM curves JOIN chosen USING (trial) WHERE quantity = 'train_loss')
SELECT 'raw' AS kind, setting, seed, avg(step) AS step, avg(value) AS value, position, keys
FROM loss GROUP BY setting, seed, (step - 1) / raw_bin
UNION ALL
SELECT 'smooth', setting, NULL, avg(step), avg(value), position, keys
FROM loss GROUP BY setting, (step - 1) / smooth_bin
UNION ALL
SELECT 'eval', setting, chosen.seed, step, value, position, keys
FROM curves JOIN chosen USING (trial) WHERE quantity = 'eval_psnr_masked'
UNION ALL
SELECT 'eval_mean', setting, NULL, step, avg(value), position, keys
FROM curves JOIN chosen USING (trial) WHERE quantity = 'eval_psnr_masked' GROUP BY setting, step
ORDER BY kind, position, seed, step;
