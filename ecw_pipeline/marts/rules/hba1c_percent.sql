-- A value of HbA1c in percent: what is in mmol/mol by the NGSP equation 0.09148 x + 2.152.
CREATE OR REPLACE MACRO hba1c_percent(loinc, quantity, unit) AS
    CASE
        WHEN lower(unit) LIKE 'mmol/mol%' OR (loinc = '59261-8' AND unit IS DISTINCT FROM '%')
            THEN round(0.09148 * quantity + 2.152, 2)
        ELSE quantity
    END
