-- The figures that fit what @experiment sweeps, in the order of reading.
WITH keys AS (
  SELECT key FROM settings JOIN chosen USING (trial)
  WHERE settings.swept = 1 AND key <> 'run.seed' GROUP BY key HAVING count(DISTINCT value) > 1
  UNION ALL SELECT 'data' WHERE (SELECT count(DISTINCT dataset) FROM chosen) > 1),
scored AS (SELECT count(psnr_masked) > 0 AS yes FROM chosen) -- norm_pix models have leaky scores only
SELECT 'question' FROM experiments WHERE experiment = @experiment AND x IN keys
  AND (EXISTS (SELECT 1 FROM scores JOIN chosen USING (trial) WHERE metric IN ('linear_mean', 'knn_mean'))
    OR EXISTS (SELECT 1 FROM gains WHERE baseline = 'fill_harmonic' AND gain IS NOT NULL))
UNION ALL SELECT 'quality' FROM scored WHERE yes AND 'train.mask_ratio' IN keys
UNION ALL SELECT 'throughput' WHERE 'train.mask_ratio' IN keys
UNION ALL SELECT 'settings' FROM scored
  WHERE yes AND EXISTS (SELECT 1 FROM keys WHERE key <> 'train.mask_ratio')
UNION ALL SELECT 'pareto' FROM chosen JOIN means USING (position)
  WHERE metric IN ('linear_mean', 'psnr_masked') AND chosen.gflops_per_image > 0
  GROUP BY 1 HAVING count(DISTINCT position) > 1 -- settings
UNION ALL SELECT 'curves' FROM scored WHERE yes
UNION ALL SELECT 'sheet' FROM chosen JOIN artifacts USING (trial) WHERE kind = 'sheet' GROUP BY 1;
