-- How exactly a date or moment was received: year, month, day, second or fraction; of its text.
CREATE OR REPLACE MACRO date_precision(received) AS
    CASE
        WHEN length(received) = 4 THEN 'year'
        WHEN length(received) = 7 THEN 'month'
        WHEN length(received) = 10 THEN 'day'
        WHEN contains(received, '.') THEN 'fraction'
        WHEN received IS NOT NULL THEN 'second'
    END
