-- How pictures are brought into the square that a network sees: 'auto' (by looking at each), 'pad' or
-- 'crop'. Fixed when a collection is made, as its encoders are.
ALTER TABLE collections ADD COLUMN geometry TEXT NOT NULL DEFAULT 'auto';
