"use strict";
const at = id => document.getElementById(id);
const say = text => { at("said").textContent = text; };
let mostBytes = Infinity, asked = 0;

fetch("model.json").then(answer => answer.json()).then(model => {
  at("model").textContent = model.name;
  at("classes").textContent = model.class_names.join(", ");
  mostBytes = model.most_bytes;
}).catch(() => say("The program does not answer. Start it again."));

async function ask(picture) {
  const number = ++asked;  // an answer that a later picture has overtaken is not shown
  at("answer").hidden = true;
  if (picture.size > mostBytes) return say(`This file has ${Math.ceil(picture.size / 1e6)} MB. At most ${mostBytes / 1e6} MB are taken.`);
  say("The model looks at it …");
  try {
    const answer = await fetch("picture", {method: "POST", body: picture, headers: {"Content-Type": "application/octet-stream"}});
    const told = await answer.json();
    if (number !== asked) return;
    say(told.error || "");
    if (!told.error) show(told);
  } catch {
    if (number === asked) say("The program does not answer. Start it again.");
  }
}

function show(told) {
  at("guesses").replaceChildren(...told.guesses.map(guess => {
    const row = document.createElement("tr"), bar = document.createElement("progress");
    bar.value = guess.probability;
    for (const cell of [guess.class_name, guess.probability.toFixed(3), bar]) row.insertCell().append(cell);
    return row;
  }));
  at("seen").src = told.seen;
  at("best").textContent = told.guesses[0].class_name;
  at("map").hidden = !told.heat;
  if (told.heat) at("heat").src = told.heat;
  else say(told.no_heat);
  at("near").hidden = !told.neighbours.length;
  at("neighbours").replaceChildren(...told.neighbours.map(one => {
    const figure = document.createElement("figure"), image = new Image(), caption = document.createElement("figcaption");
    image.src = one.picture;
    image.alt = caption.textContent = one.class_name;
    figure.append(image, caption);
    return figure;
  }));
  at("answer").hidden = false;
}

at("file").onchange = () => { if (at("file").files.length) ask(at("file").files[0]); };
document.ondragover = event => { event.preventDefault(); at("drop").classList.add("over"); };
document.ondragleave = () => at("drop").classList.remove("over");
document.ondrop = event => {
  event.preventDefault();
  at("drop").classList.remove("over");
  if (event.dataTransfer.files.length) ask(event.dataTransfer.files[0]);
  else say("That was no file. Save the picture first, then drop its file.");
};

at("camera").onclick = async () => {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}});
    at("video").hidden = false;
    say("");
  } catch (error) {
    say(`The camera cannot be used (${error.name}). Allow it for this page, or choose a file.`);
  }
};
at("video").onloadedmetadata = () => { at("shoot").hidden = false; };
at("shoot").onclick = () => {
  const video = at("video"), canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  for (const track of video.srcObject.getTracks()) track.stop();  // the camera's light goes out
  video.hidden = at("shoot").hidden = true;
  canvas.toBlob(ask, "image/png");
};
