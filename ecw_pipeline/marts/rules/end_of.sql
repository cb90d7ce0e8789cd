-- The first moment after a date, all of the year, month or day that its text names included.
CREATE OR REPLACE MACRO end_of(instant, received) AS
    instant + CASE date_precision(received)
        WHEN 'year' THEN INTERVAL 1 YEAR
        WHEN 'month' THEN INTERVAL 1 MONTH
        WHEN 'day' THEN INTERVAL 1 DAY
        ELSE INTERVAL 1 MICROSECOND
    END
