// Which model is to animate; a published one brings the steps and the guidance that suit it.
import { sendForJson } from "./api.js";

const SUITED = ["num_inference_steps", "guidance_scale"];

/** Fill the choice, and have `setField(name, value)` told of what suits a choice; throws a `Problem` where the models cannot be had. */
export async function offerModels(select, setField) {
  const { models } = await sendForJson("models");
  const known = new Map(models.map((model) => [model.model, model]));
  const chosen = select.value;
  select.replaceChildren(...models.map((model) => new Option(model.model)));
  choose(select, chosen || models.find((model) => model.default)?.model);
  const suit = (names) => {
    for (const name of names.filter((name) => known.get(select.value)?.[name])) {
      setField(name, known.get(select.value)[name]);
    }
  };
  if (!chosen) {
    suit(SUITED.filter((name) => untouched(select.form.querySelector(`#${name}`))));
  }
  // Before the form hears of it.
  select.oninput = () => suit(SUITED);
}

function untouched(slider) {
  return slider.value === slider.defaultValue;
}

/** Choose a model, also one that is offered no more: the service then says so. */
export function choose(select, model) {
  if (model && ![...select.options].some((option) => option.value === model)) {
    select.append(new Option(model));
  }
  select.value = model ?? "";
}
