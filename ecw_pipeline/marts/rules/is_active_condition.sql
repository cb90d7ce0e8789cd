-- Whether a condition is there now: clinical status active, recurrence, relapse or none given;
-- not refuted and not entered in error.
CREATE OR REPLACE MACRO is_active_condition(clinical_status, verification_status) AS
    coalesce(clinical_status, 'active') IN ('active', 'recurrence', 'relapse')
    AND coalesce(verification_status, '') NOT IN ('refuted', 'entered-in-error')
