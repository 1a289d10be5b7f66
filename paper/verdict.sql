-- What the numbers of @experiment say, in sentences. After plots/common.sql.
WITH psnr AS (SELECT * FROM means WHERE metric = 'psnr_masked'),
gains AS (
  SELECT baseline, min(mean - value) AS least, max(mean - value) AS most, sum(mean > value) AS above,
    count(*) AS settings
  FROM psnr JOIN baseline_means USING (metric, mask_ratio) GROUP BY baseline ORDER BY baseline DESC),
best AS (SELECT setting, mean FROM psnr ORDER BY mean DESC LIMIT 1),
worst AS (SELECT setting, mean FROM psnr ORDER BY mean LIMIT 1),
spread AS (SELECT max(sd) AS sd FROM psnr)
SELECT printf('- Against %s, psnr_masked is higher in %d of %d settings: by %+.2f to %+.2f dB.', baseline,
  above, settings, least, most) FROM gains
UNION ALL
SELECT printf('- Highest psnr_masked: %s (%.2f dB); lowest: %s (%.2f dB), %.2f dB apart.',
    best.setting, best.mean, worst.setting, worst.mean, best.mean - worst.mean)
  || iif(sd IS NULL, ' One seed each: nothing here tells a difference from chance.',
    printf(' The largest standard deviation between seeds of one setting is %.2f dB.', sd))
FROM best, worst, spread WHERE best.setting <> worst.setting
UNION ALL
SELECT '- In ' || count(*) || ' of ' || max(settings) || ' settings ssim_composite is below '
  || baseline || '''s: ' || group_concat(setting, ', ') || '.'
FROM (SELECT baseline, setting, count(*) OVER (PARTITION BY baseline) AS settings,
    mean < value AS below
  FROM means JOIN baseline_means USING (metric, mask_ratio) WHERE metric = 'ssim_composite'
  ORDER BY baseline DESC, position)
WHERE below GROUP BY baseline
UNION ALL
SELECT '- Not finished: ' || (trials - done) || ' of ' || trials || ' trials of the plan.'
FROM experiments WHERE experiment = @experiment AND done < trials;
