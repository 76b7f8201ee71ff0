-- The date in UTC of a time in milliseconds, as 2026-11-29; after Howard Hinnant's civil_from_days.
local function date_of(ms)
  local days = math.floor(ms / 86400000) + 719468
  local era = math.floor(days / 146097)
  local of_era = days - era * 146097
  local year_of_era = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - 365 * year_of_era - math.floor(year_of_era / 4) + math.floor(year_of_era / 100)
  -- Years begin in March here, so that the leap day is the last.
  local from_march = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * from_march + 2) / 5) + 1
  local month = from_march < 10 and from_march + 3 or from_march - 9
  return string.format('%04d-%02d-%02d', year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day)
end

