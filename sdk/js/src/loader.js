// For tests: node --import ./vendor/micro-sdk/src/loader.js --test
// What a component imports from its host does not exist in Node; an empty module takes its place, and testing.js its part.
import { register } from "node:module";

const hooks = `
  export async function resolve(specifier, context, next) {
    if (!specifier.startsWith("micro:")) return next(specifier, context);
    return { url: "data:text/javascript,export default {};", shortCircuit: true };
  }
`;
register("data:text/javascript," + encodeURIComponent(hooks));
