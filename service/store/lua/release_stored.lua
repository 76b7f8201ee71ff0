-- What was stored is gone.
-- KEYS[1] the tenant's usage
-- ARGV[1] item
release(KEYS[1], ARGV[1])
