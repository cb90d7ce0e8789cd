-- A pressure in mm[Hg], also where it was measured in kPa.
CREATE OR REPLACE MACRO mm_hg(quantity, unit) AS
    quantity * if(lower(unit) = 'kpa', 7.50062, 1)
