-- Title and caption of figure @figure: the question; what the marks mean; what was run. One line of
-- the page each.
WITH seeds AS (
  SELECT max(n) > 5 AS bars, iif(min(n) = max(n), '', min(n) || ' to ') || max(n)
    || iif(max(n) = 1, ' seed', ' seeds') AS text
  FROM means WHERE metric IN ('psnr_masked', 'psnr_leaky')),
ranges AS (
  SELECT baseline, metric, min(value) AS low, max(value) AS high
  FROM baseline_means GROUP BY baseline, metric),
baseline AS (
  SELECT group_concat(baseline || ' ' || psnr || ' dB and ' || ssim, ', ') AS text FROM (
    SELECT psnr.baseline,
      iif(psnr.high - psnr.low < 0.005, '', printf('%.2f to ', psnr.low))
        || printf('%.2f', psnr.high) AS psnr,
      iif(ssim.high - ssim.low < 0.0005, '', printf('%.3f to ', ssim.low))
        || printf('%.3f', ssim.high) AS ssim
    FROM ranges AS psnr JOIN ranges AS ssim USING (baseline)
    WHERE psnr.metric = 'psnr_masked' AND ssim.metric = 'ssim_composite'
    ORDER BY psnr.baseline DESC)),
run AS (
  SELECT @experiment || ': ' || count(*) || iif(count(*) = 1, ' trial', ' trials') || ' on '
    || group_concat(DISTINCT data_source)
    || iif(min(eval_images) = max(eval_images), ', ' || min(eval_images) || ' held-out images', '')
    || iif(min(encoder) = max(encoder), ', encoder ' || min(encoder), '')
    || iif(min(decoder) = max(decoder), ', decoder ' || min(decoder), '')
    || iif(min(mask_ratio) = max(mask_ratio), ', mask ratio ' || min(mask_ratio), '')
    || iif(min(steps) = max(steps) AND min(batch) = max(batch),
      ', ' || min(steps) || ' steps of ' || min(batch), '')
    || ', ' || group_concat(DISTINCT precision) || '.' AS text,
    group_concat(DISTINCT processor) AS processors
  FROM chosen)
SELECT CASE @figure
    WHEN 'quality' THEN 'How does reconstruction quality depend on the mask ratio?'
    WHEN 'throughput' THEN 'How does training speed depend on the mask ratio?'
    WHEN 'decoder' THEN 'What does a costlier decoder buy?'
    WHEN 'curves' THEN 'How does training proceed, and has it levelled off?'
    WHEN 'sheet' THEN 'What does the model see, and what does it make of it?'
    ELSE (SELECT question FROM experiments WHERE experiment = @experiment) END
  || char(10) || CASE
    WHEN @figure = 'sheet' THEN 'The first held-out images; under reconstruction and fill, '
      || 'psnr_composite of that image.'
    WHEN @figure = 'curves' THEN 'Thin lines and small marks: ' || seeds.text || '. Thick lines: '
      || 'their mean, on the left over 1/30 of the steps.'
    WHEN bars THEN 'Marks: mean of ' || seeds.text
      || '. Bars: 95% interval of the mean (Student''s t).'
    WHEN @figure IN ('quality', 'throughput') THEN
      'Marks: ' || seeds.text || ', each shown. Lines: their mean.'
    ELSE 'Circles: ' || seeds.text || ', each shown. Crosses: their mean.' END
  || CASE
    WHEN @figure = 'throughput' THEN ' Ideal: the lowest ratio''s GFLOP/s at every ratio.'
    WHEN @figure IN ('decoder', 'settings') THEN char(10)
      || coalesce('Masked PSNR and SSIM on the same masks: ' || baseline.text || '.',
        'No baseline was scored.')
    ELSE '' END
  || char(10) || run.text
  || iif(@figure = 'throughput', char(10) || 'On ' || processors || '.', '')
FROM seeds, baseline, run;
