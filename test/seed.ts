/**
 * Which cases the properties look at: the same ones in every run, so that a change is judged by what it changes; other
 * ones with `GRANARY_SEED=NUMBER`. A failure prints its seed and path in any case.
 */
import * as FastCheck from "fast-check"

const asked = Number(process.env["GRANARY_SEED"] ?? "20261")

FastCheck.configureGlobal({
  ...FastCheck.readConfigureGlobal(),
  seed: Number.isSafeInteger(asked) ? asked : 20261
})
