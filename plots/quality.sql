-- The shown metrics against the mask ratio, and the baselines': one line for all series where their
-- masks and images give the same values, else a line of each ("fill_mean 16", on the masks of 16).
WITH alike AS (
  SELECT baseline, min(yes) AS yes FROM (
    SELECT baseline, max(value) - min(value) <= 1e-9 * max(abs(value)) AS yes
    FROM baseline_means GROUP BY baseline, metric, mask_ratio)
  GROUP BY baseline)
SELECT kind, series, metric, mask_ratio, value, bar_low, bar_high, label, fill, title, words
FROM (SELECT kind, series, metric, mask_ratio, value, bar_low, bar_high, NULL AS fill, NULL AS title,
    series AS words FROM marks
  UNION ALL
  SELECT DISTINCT 'baseline', baseline || iif(yes, '', ' ' || series), metric, mask_ratio,
    iif(yes, avg(value) OVER (PARTITION BY baseline, metric, mask_ratio), value), NULL, NULL, baseline,
    (SELECT title FROM scorers WHERE name = baseline_means.baseline),
    (SELECT title FROM scorers WHERE name = baseline_means.baseline) || iif(yes, '', ' ' || series)
  FROM baseline_means JOIN alike USING (baseline)
  WHERE position IN (SELECT position FROM means WHERE metric = 'psnr_masked'))
  JOIN shown ON name = metric
ORDER BY kind, series, shown.position, mask_ratio, value;
