-- The contact sheet of each setting's first seed; columns as draw.sh reads them, none of them empty.
-- cell: half of the pixels of a picture's side (mae/evaluate/sheet.c), in sheets of earlier versions all
-- of them. kind: LEAKY where the reconstruction is
-- un-normalised with the hidden patches' own statistics.
SELECT setting, cell, keys, kind, sha256, folder, path FROM (
  SELECT setting, position, coalesce(nullif(keys, ''), '-') AS keys,
    image_size * ((127 + image_size) / image_size) AS cell,
    iif(norm_pix = 'true', 'LEAKY', '-') AS kind, artifacts.sha256, artifacts.folder,
    artifacts.path, row_number() OVER (PARTITION BY position ORDER BY chosen.seed, chosen.trial) AS nth
  FROM chosen JOIN artifacts USING (trial) WHERE artifacts.kind = 'sheet')
WHERE nth = 1 ORDER BY position;
