-- The shown metrics against the mask ratio, and the baselines'.
SELECT kind, series, metric, mask_ratio, value, bar_low, bar_high, label
FROM (SELECT kind, series, metric, mask_ratio, value, bar_low, bar_high FROM marks
  UNION ALL
  SELECT 'baseline', baseline, metric, mask_ratio, value, NULL, NULL FROM baseline_means)
  JOIN shown ON name = metric
ORDER BY kind, series, position, mask_ratio, value;
