// The image encoder in ONNX Runtime, for `bench peers`: encoder_onnx.js MODULES MODEL INPUT THREADS
// defaults|tuned. Protocol: peer.py.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');

async function main([modules, model, input, threads, settings]) {
  const tuned = settings === 'tuned';
  const folder = path.join(modules, 'onnxruntime-node');
  const ort = require(folder);
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    enableMemPattern: !tuned, // a default; it costs twice the memory from the second run on, and time
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
  });
  const bytes = fs.readFileSync(input);
  const pixels = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const feeds = { image: new ort.Tensor('float32', pixels, [1, 3, 1024, 1024]) };
  const version = require(path.join(folder, 'package.json')).version;
  console.log(JSON.stringify({
    version: `ONNX Runtime ${version}`,
    settings: `onnxruntime-node ${process.version}, all graph optimisations, `
      + `${tuned ? 'without memory patterns, ' : ''}${threads} threads`,
  }));
  let result = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, ...rest] = line.trim().split(' ');
    if (word === 'run') {
      result = null;
      const start = process.hrtime.bigint();
      result = (await session.run(feeds)).embedding;
      console.log((Number(process.hrtime.bigint() - start) / 1e9).toFixed(6));
    } else if (word === 'save') {
      fs.writeFileSync(rest.join(' '), Buffer.from(result.data.buffer, result.data.byteOffset, result.data.byteLength));
      console.log('saved');
    } else if (word === 'quit') {
      return;
    } else {
      throw new Error(`unknown request ${line}`);
    }
  }
}

main(process.argv.slice(2)).then(() => process.exit(0), error => {
  console.error(error.message);
  process.exit(1);
});
