-- The contact sheet of each setting's first seed; columns as draw.sh reads them, none of them empty.
-- cell: pixels of one picture's side (mae/evaluate/sheet.h). kind: LEAKY where the reconstruction is
-- un-normalised with the hidden patches' own statistics.
SELECT setting, cell, rows, keys, kind, sha256, folder, path FROM (
  SELECT setting, position, coalesce(nullif(keys, ''), '-') AS keys,
    image_size * ((127 + image_size) / image_size) AS cell, min(eval_images, 2) AS rows,
    iif(norm_pix = 'true', 'LEAKY', '-') AS kind, artifacts.sha256, artifacts.folder,
    artifacts.path, row_number() OVER (PARTITION BY position ORDER BY chosen.seed, chosen.trial) AS nth
  FROM chosen JOIN artifacts USING (trial) WHERE artifacts.kind = 'sheet')
WHERE nth = 1 ORDER BY position;
