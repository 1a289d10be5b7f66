-- What the numbers of @experiment say, in sentences. After plots/common.sql.
WITH psnr AS (SELECT * FROM means WHERE metric = 'psnr_masked'),
above AS (
  SELECT baseline, min(gain) AS least, max(gain) AS most, sum(gain > 0) AS above, count(*) AS settings
  FROM baseline_means WHERE metric = 'psnr_masked' AND gain IS NOT NULL
  GROUP BY baseline ORDER BY baseline DESC),
probed AS (
  SELECT baseline, metric, min(gain) AS least, max(gain) AS most, sum(gain > 0) AS above,
    count(*) AS settings
  FROM baseline_means WHERE metric IN ('linear_mean', 'knn_mean') AND gain IS NOT NULL
    AND baseline IN ('random', 'pixels')
  GROUP BY metric, baseline ORDER BY metric DESC, baseline DESC),
-- Pictures of two data sets are not compared. The setting is that of the row of the maximum.
best AS (SELECT dataset, setting, max(mean) AS mean FROM psnr GROUP BY dataset),
worst AS (SELECT dataset, setting, min(mean) AS mean FROM psnr GROUP BY dataset),
spread AS (SELECT dataset, max(sd) AS sd FROM psnr GROUP BY dataset)
SELECT printf('- Against %s, psnr_masked is higher in %d of %d settings: by %+.2f to %+.2f dB.', baseline,
  above, settings, least, most) FROM above
UNION ALL
SELECT printf('- Against %s, %s is higher in %d of %d settings: by %+.1f to %+.1f points.', baseline,
  metric, above, settings, least, most) FROM probed
UNION ALL
SELECT printf('- Highest psnr_masked: %s (%.2f dB); lowest: %s (%.2f dB), %.2f dB apart.',
    best.setting, best.mean, worst.setting, worst.mean, best.mean - worst.mean)
  || iif(sd IS NULL, ' One seed each: nothing here tells a difference from chance.',
    printf(' The largest standard deviation between seeds of one setting is %.2f dB.', sd))
FROM best JOIN worst USING (dataset) JOIN spread USING (dataset) WHERE best.setting <> worst.setting
UNION ALL
SELECT '- In ' || count(*) || ' of ' || max(settings) || ' settings ssim_composite is below '
  || baseline || '''s: ' || group_concat(setting, ', ') || '.'
FROM (SELECT baseline, setting, count(*) OVER (PARTITION BY baseline) AS settings, gain < 0 AS below
  FROM baseline_means WHERE metric = 'ssim_composite' AND gain IS NOT NULL
  ORDER BY baseline DESC, position)
WHERE below GROUP BY baseline
UNION ALL
SELECT '- The speed of ' || count(*) || ' of ' || (SELECT count(*) FROM chosen) || ' trials is in doubt: '
  || group_concat(DISTINCT iif(speed_note LIKE 'resumed%', 'resumed', 'busy machine')) || '.'
FROM chosen WHERE speed_note IS NOT NULL GROUP BY experiment
UNION ALL
SELECT '- Without psnr_masked, of ' || (SELECT count(*) FROM everyone) || ' planned trials: ' || text || '.'
FROM missing_text;
