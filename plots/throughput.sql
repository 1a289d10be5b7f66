-- Training speed against the mask ratio. ideal: from the speed at the lowest ratio, as if every
-- ratio reached the same GFLOP/s. noted: trials whose speed may not be the machine's at rest.
SELECT kind, series, mask_ratio, value, bar_low, bar_high, iif(kind = 'ideal', kind, series) AS words FROM (
  SELECT kind, series, mask_ratio, value, bar_low, bar_high
  FROM marks WHERE metric = 'images_per_second'
  UNION ALL
  SELECT 'noted', series, mask_ratio, images_per_second, NULL, NULL
  FROM chosen WHERE speed_note IS NOT NULL AND images_per_second IS NOT NULL
  UNION ALL
  SELECT 'ideal', series, mask_ratio,
    first_value(mean * gflops_per_image) OVER (PARTITION BY series ORDER BY mask_ratio)
      / gflops_per_image, NULL, NULL
  FROM means WHERE metric = 'images_per_second')
ORDER BY kind = 'ideal', kind, series, mask_ratio, value;
