-- The contact sheet of each setting's first seed; columns as draw.sh reads them.
-- cell: pixels of one picture's side (mae/evaluate/sheet.h).
SELECT setting, cell, rows, keys, sha256, folder, path FROM (
  SELECT setting, position, keys, image_size * ((127 + image_size) / image_size) AS cell,
    min(eval_images, 2) AS rows, artifacts.sha256, artifacts.folder, artifacts.path,
    row_number() OVER (PARTITION BY setting ORDER BY chosen.seed, chosen.trial) AS nth
  FROM chosen JOIN artifacts USING (trial) WHERE artifacts.kind = 'sheet')
WHERE nth = 1 ORDER BY position;
