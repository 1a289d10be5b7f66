-- The leading metrics of every planned setting, the plan's first at the top. Rows of kind row name a
-- setting; their label says why it has no marks.
WITH places AS (
  SELECT setting, position, keys, 1 - dense_rank() OVER (ORDER BY position) AS place
  FROM everyone GROUP BY position)
SELECT kind, setting, metric, place, value, bar_low, bar_high, keys, label FROM (
  SELECT kind, marks.setting, metric, place, value, bar_low, bar_high, marks.keys, label,
    shown.position AS panel
  FROM marks JOIN places USING (position) JOIN shown ON name = metric AND leading
  UNION ALL
  SELECT 'row', setting, NULL, place, NULL, NULL, NULL, keys, iif(position IN
      (SELECT position FROM means WHERE metric = 'psnr_masked'), NULL,
    (SELECT group_concat(reason, ', ') FROM (SELECT DISTINCT reason FROM missing
     WHERE missing.position = places.position ORDER BY reason))), 0
  FROM places)
ORDER BY kind, panel, place DESC, value;
