-- The SELECT that makes the table, a row per planned setting, with the metrics and baselines there
-- are; draw.sh runs it and explains the columns in index.md. Of the leading metrics the spread over
-- seeds is given too (QUANTITY_sd), of psnr_masked the gain over each baseline: the mean of the trials'
-- own. A probe's scores and the published numbers of the setting (published_SERIES), leaky scores, energy, data, speed_notes and missing are columns where there is something to say.
WITH parts AS (
  SELECT position, 0 AS nth, name, digits,
    'max(CASE metric WHEN ''' || name || ''' THEN mean END)' AS value, '%.' AS format
  FROM metrics WHERE name IN (SELECT name FROM shown)
    OR (headline AND needs = 'leaky' OR name IN ('linear_mean', 'knn_mean')) AND name IN (SELECT metric FROM means)
  UNION ALL
  SELECT position, 1, quantity || '_sd', digits,
    'max(CASE metric WHEN ''' || name || ''' THEN sd END)', '%.'
  FROM metrics WHERE name IN (SELECT name FROM shown WHERE leading)
  UNION ALL
  SELECT metrics.position, 1 + scorers.position, 'gain_' || replace(scorers.name, 'fill_', ''), digits,
    '(SELECT gain FROM baseline_means AS b WHERE b.metric = ''psnr_masked'' '
      || 'AND b.position = line.position AND b.baseline = ''' || scorers.name || ''')', '%+.'
  FROM metrics, scorers WHERE metrics.name = 'psnr_masked' AND baseline
    AND scorers.name GLOB 'fill_*' -- what a probe is held against reconstructs nothing
  UNION ALL
  SELECT 900, 0, 'published_' || series, 1, '(SELECT max(accuracy) FROM paper JOIN paper_trials AS ours '
      || 'ON ours.experiment = paper.experiment AND ours.position = paper.position '
      || 'WHERE paper.experiment = @experiment AND series = ''' || series || ''' AND ours.trial IN '
      || '(SELECT trial FROM everyone WHERE everyone.position = line.position))', '%.'
  FROM (SELECT DISTINCT series FROM paper WHERE experiment = @experiment)
  UNION ALL
  SELECT 1000, nth, 'images_per_second' || suffix, 0,
    'max(CASE metric WHEN ''images_per_second'' THEN ' || word || ' END)', '%.'
  FROM (SELECT 0 AS nth, '' AS suffix, 'mean' AS word UNION ALL SELECT 1, '_sd', 'sd')
  UNION ALL
  SELECT 1001, position, name, digits, 'max(CASE metric WHEN ''' || name || ''' THEN mean END)', '%.'
  FROM metrics WHERE name IN ('joules_per_image', 'energy_kwh') AND name IN (SELECT metric FROM means))
SELECT 'SELECT line.setting, '
  || iif((SELECT count(DISTINCT dataset) FROM chosen) > 1, 'coalesce(line.data, ''-'') AS data, ', '')
  || 'coalesce(max(n), 0) AS seeds, '
  || (SELECT group_concat('iif(' || value || ' IS NULL, ''-'', printf(''' || format || digits
      || 'f'', ' || value || ')) AS ' || name, ', ')
    FROM (SELECT * FROM parts ORDER BY position, nth))
  || ', iif(gflops_per_image IS NULL, ''-'', printf(''%.3g'', gflops_per_image)) AS gflops_per_image'
  || ', iif(gflops_decoder_per_image IS NULL, ''-'', printf(''%.3g'', gflops_decoder_per_image)) '
  || 'AS gflops_decoder'
  || iif((SELECT count(speed_note) FROM chosen) > 0, ', coalesce((SELECT group_concat(''seed '' || seed '
      || '|| '' '' || speed_note, ''; '') FROM chosen WHERE chosen.position = line.position), ''-'') '
      || 'AS speed_notes', '')
  || iif((SELECT count(*) FROM missing) > 0, ', coalesce((SELECT group_concat(trials || '' '' || reason, '
      || ''', '') FROM (SELECT reason, count(*) AS trials FROM missing '
      || 'WHERE missing.position = line.position GROUP BY reason)), ''-'') AS missing', '')
  || ' FROM (SELECT position, setting, min(data_source || '' '' || substr(dataset, 1, 8)) AS data '
  || 'FROM everyone GROUP BY position) AS line LEFT JOIN means USING (position) '
  || 'GROUP BY line.position ORDER BY line.position;';
