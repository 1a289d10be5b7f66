-- The SELECT that makes the table, a row per setting, with the metrics and baselines there are;
-- draw.sh runs it and explains the columns in index.md. Of the leading metrics the spread over seeds
-- is given too (QUANTITY_sd), of psnr_masked the gain over each baseline.
WITH parts AS (
  SELECT position, 0 AS nth, name, digits,
    'max(CASE metric WHEN ''' || name || ''' THEN mean END)' AS value, '%.' AS format
  FROM metrics WHERE name IN (SELECT name FROM shown)
  UNION ALL
  SELECT position, 1, quantity || '_sd', digits,
    'max(CASE metric WHEN ''' || name || ''' THEN sd END)', '%.'
  FROM metrics WHERE name IN (SELECT name FROM shown WHERE leading)
  UNION ALL
  SELECT metrics.position, 1 + scorers.position, 'gain_' || replace(scorers.name, 'fill_', ''), digits,
    'max(CASE metric WHEN ''psnr_masked'' THEN mean END) - (SELECT value FROM baseline_means AS b '
      || 'WHERE b.metric = ''psnr_masked'' AND b.mask_ratio = means.mask_ratio AND b.baseline = '''
      || scorers.name || ''')', '%+.'
  FROM metrics, scorers WHERE metrics.name = 'psnr_masked' AND baseline)
SELECT 'SELECT setting, max(n) AS seeds, '
  || (SELECT group_concat('iif(' || value || ' IS NULL, ''-'', printf(''' || format || digits
      || 'f'', ' || value || ')) AS ' || name, ', ')
    FROM (SELECT * FROM parts ORDER BY position, nth))
  || ', iif(max(CASE metric WHEN ''images_per_second'' THEN mean END) IS NULL, ''-'', printf(''%.0f'', '
  || 'max(CASE metric WHEN ''images_per_second'' THEN mean END))) AS images_per_second, '
  || 'printf(''%.3g'', gflops_per_image) AS gflops_per_image, '
  || 'printf(''%.3g'', gflops_decoder_per_image) AS gflops_decoder '
  || 'FROM means GROUP BY position ORDER BY position;';
