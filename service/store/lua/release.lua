-- An upload is gone.
-- uses: usage
-- keys: uploads usage
-- asks: `key` in the storage, `item` of the usage
-- Returns 1, or 0 where somebody else has told so before.
release(keys.usage, ask.item)
return redis.call('ZREM', keys.uploads, ask.key)
