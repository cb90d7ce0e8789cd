-- Whether an encounter took place, or takes place now: not planned, cancelled, missed or entered
-- in error.
CREATE OR REPLACE MACRO took_place(status) AS
    coalesce(status, '') NOT IN ('planned', 'cancelled', 'noshow', 'entered-in-error')
