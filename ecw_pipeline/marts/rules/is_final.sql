-- Whether a result stands: status final, amended or corrected.
CREATE OR REPLACE MACRO is_final(status) AS
    status IN ('final', 'amended', 'corrected')
