-- Title and caption of figure @figure: the question; what the marks mean; what was run; what is not
-- shown and why. One line of the page each.
WITH seeds AS (
  SELECT max(n) > 5 AS bars, iif(min(n) = max(n), '', min(n) || ' to ') || max(n)
    || iif(max(n) = 1, ' seed', ' seeds') AS text
  FROM means WHERE metric = iif(@figure IN ('throughput', 'question'), 'images_per_second', 'psnr_masked')),
ranges AS (
  SELECT baseline, metric, min(value) AS low, max(value) AS high
  FROM baseline_means GROUP BY baseline, metric),
pairs AS (
  SELECT psnr.baseline, psnr.high - psnr.low >= 0.005 OR ssim.high - ssim.low >= 0.0005 AS differs,
    iif(psnr.high - psnr.low < 0.005, '', printf('%.2f to ', psnr.low))
      || printf('%.2f', psnr.high) AS psnr,
    iif(ssim.high - ssim.low < 0.0005, '', printf('%.3f to ', ssim.low))
      || printf('%.3f', ssim.high) AS ssim
  FROM ranges AS psnr JOIN ranges AS ssim USING (baseline)
  WHERE psnr.metric = 'psnr_masked' AND ssim.metric = 'ssim_composite'
  ORDER BY psnr.baseline DESC),
baseline AS (
  SELECT iif(max(differs), 'On each setting''s own masks: ',
      'Masked PSNR and SSIM on the same masks: ')
    || group_concat((SELECT title FROM scorers WHERE name = pairs.baseline) || ' ' || psnr || ' dB and '
      || ssim, ', ')
    || iif(max(differs), ' by setting (gains: table).', '.') AS text
  FROM pairs),
data AS (
  SELECT group_concat(data_source || iif(sets > 1, ' (' || substr(dataset, 1, 8) || ')', ''), ', ')
    AS text
  FROM (SELECT DISTINCT data_source, dataset,
      (SELECT count(DISTINCT dataset) FROM chosen) AS sets
    FROM chosen ORDER BY data_source, dataset)),
run AS (
  SELECT @experiment || ': ' || count(*)
    || iif(count(*) < (SELECT count(*) FROM everyone),
      ' of ' || (SELECT count(*) FROM everyone) || ' planned trials',
      iif(count(*) = 1, ' trial', ' trials')) || ' on ' || (SELECT text FROM data)
    || iif(min(eval_images) = max(eval_images), ', ' || min(eval_images) || ' held-out images', '')
    || iif(min(encoder) = max(encoder), ', encoder ' || min(encoder), '')
    || iif(min(decoder) = max(decoder), ', decoder ' || min(decoder), '')
    || iif(min(mask_ratio) = max(mask_ratio), ', mask ratio ' || min(mask_ratio), '')
    || iif(min(steps) = max(steps) AND min(batch) = max(batch),
      ', ' || min(steps) || ' steps of ' || min(batch), '')
    || ', ' || group_concat(DISTINCT precision) || '.' AS text,
    group_concat(DISTINCT processor) AS processors, count(speed_note) AS noted
  FROM chosen
  WHERE @figure IN ('curves', 'question') OR trial NOT IN (SELECT trial FROM missing)),
missed AS (
  SELECT group_concat(char(10)
    || CASE @figure WHEN 'curves' THEN 'No curve of the PSNR: '
      WHEN 'question' THEN 'No gain over the harmonic fill: ' ELSE 'Not shown: ' END || text || '.', '')
    AS text
  FROM missing_text),
published AS ( -- where they are drawn: beside a probe's numbers
  SELECT char(10) || 'Published: ' || source || ', of another model and other images: only the order '
    || 'of the settings compares.'
    || coalesce((SELECT char(10) || 'Same order? ' || group_concat(text, '; ') || '.'
      FROM paper_verdicts WHERE experiment = @experiment), '')
    || coalesce((SELECT char(10) || 'Published and not run here: ' || group_concat(setting, ', ') || '.'
      FROM (SELECT DISTINCT setting, position FROM paper WHERE experiment = @experiment
          AND position NOT IN (SELECT paper_trials.position FROM paper_trials JOIN chosen USING (trial)
            WHERE paper_trials.experiment = @experiment) ORDER BY position)), '') AS text
  FROM paper WHERE experiment = @experiment AND @figure = 'question'
    AND EXISTS (SELECT 1 FROM means WHERE metric IN ('linear_mean', 'knn_mean')) LIMIT 1)
SELECT CASE @figure
    WHEN 'quality' THEN 'How does reconstruction quality depend on the mask ratio?'
    WHEN 'throughput' THEN 'How does training speed depend on the mask ratio?'
    WHEN 'pareto' THEN 'What does quality cost?'
    WHEN 'curves' THEN 'How does training proceed, and has it levelled off?'
    WHEN 'sheet' THEN 'What does the model see, and what does it make of it?'
    ELSE (SELECT question FROM experiments WHERE experiment = @experiment) END
  || char(10) || CASE
    WHEN @figure = 'sheet' THEN 'The first held-out image; under reconstruction and fill, '
      || 'PSNR of that composite. Below: four times the distance from the original, black where equal.'
      || iif((SELECT max(norm_pix = 'true') FROM chosen), char(10) || 'LEAKY: a norm_pix model''s '
        || 'picture, un-normalised with the hidden patches'' own statistics; not comparable.', '')
    WHEN @figure = 'curves' THEN 'Thin lines and small marks: ' || seeds.text || '. Thick lines: '
      || 'their mean, on the left over 1/30 of the steps.'
    WHEN @figure = 'question' THEN 'Circles: ' || seeds.text || '. Marks: their mean, with its 95% '
      || 'interval (Student''s t) from three seeds on, of speeds from six.'
    WHEN @figure = 'pareto' THEN 'Circles: ' || seeds.text || '. Marks: their mean. Dashed: through the '
      || 'settings that no other equals for less.'
    WHEN bars THEN 'Marks: mean of ' || seeds.text
      || '. Bars: 95% interval of the mean (Student''s t).'
    WHEN @figure IN ('quality', 'throughput') THEN
      'Marks: ' || seeds.text || ', each shown. Lines: their mean.'
    ELSE 'Circles: ' || seeds.text || ', each shown. Crosses: their mean.' END
  || CASE
    WHEN @figure = 'throughput' THEN ' Ideal: the lowest ratio''s GFLOP/s at every ratio.'
      || char(10) || 'A trial''s speed is from the median time of its steps.'
      || iif(noted > 0, ' Ringed: ' || noted || iif(noted = 1, ' trial', ' trials')
        || ', resumed, or on a busy machine (p90 of a step over 1.5 x its median).', '')
    WHEN @figure = 'settings' THEN char(10)
      || coalesce(baseline.text, 'No baseline was scored.')
    ELSE '' END
  || char(10) || run.text || coalesce(missed.text, '') || coalesce((SELECT text FROM published), '')
  || iif(@figure IN ('throughput', 'question'), coalesce(char(10) || 'On ' || processors || '.', ''), '')
FROM seeds, baseline, run, missed;
