-- The leading metrics of every setting, the plan's first at the top.
SELECT kind, setting, metric, 1 - dense_rank() OVER (ORDER BY marks.position) AS place, value,
  bar_low, bar_high, keys, label
FROM marks JOIN shown ON name = metric AND leading
ORDER BY kind, shown.position, marks.position, value;
