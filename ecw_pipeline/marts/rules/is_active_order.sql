-- Whether a prescription is an order that is active: no plan, no proposal, no wish that
-- something be not taken.
CREATE OR REPLACE MACRO is_active_order(status, intent, do_not_perform) AS
    coalesce(status = 'active', false)
    AND coalesce(intent, 'order')
        IN ('order', 'original-order', 'reflex-order', 'filler-order', 'instance-order')
    AND NOT coalesce(do_not_perform, false)
