-- Training loss and held-out PSNR by step. A curve has at most 300 points (raw; fewer where there are
-- more than 200 of them) or 30 (smooth): each is the mean of equally many steps. A raw row without a
-- value goes before each seed's curve: there the line before it ends.
WITH loss AS (
  SELECT setting, position, keys, chosen.seed, step, value, steps,
    max(1, (steps + raw_points - 1) / raw_points) AS raw_bin, max(1, (steps + 29) / 30) AS smooth_bin
  FROM curves JOIN chosen USING (trial), (
    SELECT max(30, min(300, 60000 / max(1, count(*)))) AS raw_points FROM chosen)
  WHERE quantity = 'train_loss')
SELECT 'raw' AS kind, setting, seed, 0 AS step, NULL AS value, position, keys FROM chosen
UNION ALL
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
